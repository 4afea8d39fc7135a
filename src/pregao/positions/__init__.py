"""Takes booked fills and ended orders; gives positions as they stand after them."""
