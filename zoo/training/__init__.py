"""Training: losses, and the Keras models that train a network with them."""
