"""What is proven and published."""
