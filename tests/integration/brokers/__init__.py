"""Herald at brokers that carry neither events nor remote control."""
