"""`python -m tonezoo.recipes.demo` makes the demo."""

from tonezoo.recipes.demo import main

main()
