"""Arguments: their dataclasses, the presets by size, and how flags and YAML become them."""
