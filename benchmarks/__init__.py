"""`make bench`: this product against a stand-in of stock's pipeline, on the same data, in turns."""
