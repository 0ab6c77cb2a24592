"""Settings whose values lie in files: `HERALD_TOKEN_FILE=/run/secrets/token`.

The convention of container images: a secret is mounted as a file, so that it is in no
environment variable that `docker inspect` or a crash report shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from herald_core.errors import InvalidInput

FILE_SUFFIX = "_FILE"
MAX_FILE_BYTES = 1_048_576


class FileSettingsSource(PydanticBaseSettingsSource):
    """Values of the files that the variables `PREFIX…_FILE` name."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._prefix = settings_cls.model_config.get("env_prefix", "")

    def get_field_value(
        self, field: FieldInfo, field_name: str
    ) -> tuple[Any, str, bool]:
        """Return the value of one setting. Raises `InvalidInput`."""
        found = read_setting_files([field_name], self._prefix, os.environ)
        return found.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by setting. Raises `InvalidInput`."""
        names = self.settings_cls.model_fields
        return dict(read_setting_files(names, self._prefix, os.environ))


def read_setting_files(
    names: Iterable[str], prefix: str, env: Mapping[str, str]
) -> dict[str, str]:
    """Return the text of the files that `env` names, by setting.

    A variable without the suffix takes precedence: its file is not read. Line ends
    around the text are removed. Raises `InvalidInput`.
    """
    found: dict[str, str] = {}
    for name in names:
        variable = f"{prefix}{name.upper()}"
        path = env.get(variable + FILE_SUFFIX)
        if path and not env.get(variable):
            found[name] = read_setting_file(path, variable + FILE_SUFFIX)
    return found


def read_setting_file(path: str, variable: str) -> str:
    """Return the text of the file that `variable` names. Raises `InvalidInput`."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidInput(
            f"{variable}: cannot read {path}: {why.lower()}. Name a file with the"
            " value",
            variable,
        ) from error
    if len(text) > MAX_FILE_BYTES or not text.strip("\r\n"):
        raise InvalidInput(
            f"{variable}: {path} is {'too large' if text else 'empty'}. Name a file"
            " with the value",
            variable,
        )
    return text.strip("\r\n")
