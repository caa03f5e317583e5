"""What exists: frozen data and tables; imports nothing but the standard library."""
