"""Explanations: where a model looks, which pixels matter to it, and whether that is the lesion.

`overlay` needs Pillow and NumPy alone; import it as `skinzoo.explain.overlay`. `of_run` explains what a run
says of images, `report` writes that down.
"""
