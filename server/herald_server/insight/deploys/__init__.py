"""Task types before and after a mark, such as a deploy."""
