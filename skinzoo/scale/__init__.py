"""More than one process or machine: what spreads work over them."""
