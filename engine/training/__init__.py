"""Training of the adapter between a frozen encoder and a language model."""
