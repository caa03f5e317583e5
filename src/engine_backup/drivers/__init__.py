"""How: one outside thing per module, no decisions."""
