"""Tasks: records of events merged in any order, and the view projected from them."""
