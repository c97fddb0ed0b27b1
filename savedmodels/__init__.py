"""The models that come with tonezoo, as data; `tonezoo.pretrained` names them."""
