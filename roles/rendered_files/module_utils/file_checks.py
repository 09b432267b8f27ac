# Copyright: the Slipway contributors
"""Programs that accept new files, or say what is wrong with them, before they are in place."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files_on_disk import RefusedError


class CheckError(RefusedError):
    """The check does not accept the files; `told` is what it said of them, with their paths on the host."""

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message)
        self.told = told


class Checks:
    """What checks the files of a task.

    Args:
        module: the task.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._command: dict[Path, str] = {
            Path(file["path"]): file["validate"] for file in module.params["rendered"] if file["validate"]
        }

    def one(self, path: Path, staged: Path) -> None:
        """Check a file by itself.

        Raises:
            CheckError: it is not accepted.
        """
        if path in self._command:
            self._ask(self._command[path], staged, path)

    def together(self, staged: dict[Path, Path], removed: Iterable[Path], temporaries: Iterable[Path]) -> None:
        """Check a copy of the directory as it is going to be.

        Args:
            staged: where the content of each new file is.
            removed: what is not going to be there.
            temporaries: what lies beside the files and is none of them.

        Raises:
            CheckError: it is not accepted.
        """
        options = self._module.params["check"]
        if not options:
            return
        directory = Path(options["directory"])
        staged = {path: temporary for path, temporary in staged.items() if path.is_relative_to(directory)}
        removed = [path for path in removed if path.is_relative_to(directory)]
        if not staged and not removed:
            return
        unfinished = shutil.ignore_patterns(*(temporary.name for temporary in temporaries))
        with tempfile.TemporaryDirectory(dir=self._module.tmpdir) as parent:
            copy = Path(parent) / directory.name
            shutil.copytree(directory, copy, symlinks=True, ignore=unfinished)
            for path in (*staged, *removed):
                (copy / path.relative_to(directory)).unlink(missing_ok=True)
            for path, temporary in staged.items():
                shutil.copyfile(temporary, copy / path.relative_to(directory))
            self._ask(options["command"], copy, directory)

    def _ask(self, command: str, place: Path, path: Path) -> None:
        words = [word.replace("%s", str(place)) for word in shlex.split(command)]
        code, output, error = self._module.run_command(words)
        if code:
            told = (error.strip() or output.strip() or f"exit code {code}").replace(str(place), str(path))
            raise CheckError(f"{words[0]} refuses the new {path}, so no file was changed:\n{told}", told)
