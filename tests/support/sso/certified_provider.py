"""The certified provider of OpenID Connect `oidc-provider`, from npm, in a process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import IO

from tests.support.conformance.suite import NODE, cache, installed

SOURCES = Path(__file__).parent / "oidc_provider"
NAME = "oidc-provider-9"
PROOF = "oidc-provider/package.json"

Groups = Mapping[str, list[str]]


class CertifiedProvider:
    """The provider at `issuer`, whose input is `words`."""

    def __init__(self, issuer: str, words: IO[str]) -> None:
        self.issuer = issuer
        self._words = words

    def set_groups(self, groups: Groups) -> None:
        """Change who is in which groups, from the next token on."""
        self._words.write(json.dumps(groups) + "\n")
        self._words.flush()


@contextlib.contextmanager
def run_certified_provider(
    herald_url: str, algorithm: str, groups: Groups
) -> Generator[CertifiedProvider]:
    """Run a provider that signs its ID tokens by `algorithm`.

    Its client is the Herald at `herald_url`, which ends in a slash. Raises
    `Unreachable` if npm does not give it out.
    """
    client = {
        "client_id": "herald",
        "client_secret": "a secret of the tests",
        "redirect_uris": [f"{herald_url}auth/callback"],
        "post_logout_redirect_uris": [herald_url],
        "grant_types": ["authorization_code", "refresh_token"],
        "id_token_signed_response_alg": algorithm,
    }
    given = json.dumps({"client": client, "people": groups})
    with subprocess.Popen(
        [NODE, _install() / "provider.mjs", given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        issuer = next(line for line in process.stdout if line.startswith("http"))
        yield CertifiedProvider(issuer.strip(), process.stdin)
        process.stdin.close()


def _install() -> Path:
    """Return the directory with the program and its packages, those of the lock file.

    It is outside of the repository.
    """
    place = cache(NAME)
    place.mkdir(parents=True, exist_ok=True)
    for one in SOURCES.iterdir():
        shutil.copy(one, place)
    installed(place, (), PROOF)
    return place
