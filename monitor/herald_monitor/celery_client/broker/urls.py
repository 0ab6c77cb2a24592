"""URLs of brokers and result backends, as they may be shown."""

from __future__ import annotations

from kombu.utils.url import maybe_sanitize_url


def mask_passwords(urls: str) -> str:
    """Return a URL, or several parted by `;`, without their passwords."""
    return ";".join(str(maybe_sanitize_url(one)) for one in urls.split(";"))
