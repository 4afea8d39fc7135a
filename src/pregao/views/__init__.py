"""What people look at: read models, and the ports that fetch them."""
