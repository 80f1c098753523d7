"""What `salmonn-bench` measures, a module each, and what they share."""
