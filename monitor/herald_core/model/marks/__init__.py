"""Marks: moments that every chart shows, such as a deploy."""
