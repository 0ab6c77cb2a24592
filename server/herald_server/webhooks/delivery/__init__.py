"""Delivery to endpoints: order, retries, signatures."""
