"""A reader of the guide: a project, its terminals, and the doing of what a page says."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.acceptance.guide.blocks import Block
from tests.acceptance.guide.console import INTERRUPT, Step, missing, read_steps
from tests.acceptance.guide.terminal import Terminal
from tests.servers import forked
from tests.servers.daemon import ROOT

#: The project that every page begins with.
PROJECT = Path(__file__).with_name("project")
SETTINGS = "shop/settings.py"
#: Modules that run what a shell of the project is asked for, from their standard input.
SHELL, ROUND_TRIP = "tests.acceptance.guide.shell", "tests.acceptance.guide.round_trip"
TIMEOUT = 60.0  # seconds for a command that ends by itself


class Reader:
    """Follows pages of the guide in a copy of the project.

    `addresses` maps what the guide calls a server to where the test's server really is.
    """

    def __init__(self, directory: Path, addresses: Mapping[str, str]) -> None:
        self.directory = directory
        self.addresses = dict(addresses)
        self._terminals: dict[str, Terminal] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was done, and take the project as it was at first."""
        for source in PROJECT.rglob("*.py"):
            self._write(source.relative_to(PROJECT).as_posix(), source.read_text())

    def follow(self, block: Block) -> None:
        """Do what a block says; fails where the guide promises what is not so."""
        try:
            if {"alone", "anew"} & set(block.marks):
                self.begin_anew()
            (use,) = block.uses
            getattr(self, f"_{use}")(block)
        except (AssertionError, subprocess.SubprocessError) as error:
            raise AssertionError(f"migration_guide/{block}: {error}") from error

    def check(self) -> None:
        """Let Django look at the project as it has become."""
        self._python("manage.py", "check")

    def _illustration(self, block: Block) -> None:
        assert block.marks["illustration"], "say why this is not executed"

    def _file(self, block: Block) -> None:
        self._write(block.marks["file"], block.text)

    def _settings(self, block: Block) -> None:
        with (self.directory / SETTINGS).open("a") as settings:
            settings.write(f"\n{self._really(block.text)}")
        if "alone" in block.marks:
            self._python("-m", ROUND_TRIP)

    def _pycon(self, block: Block) -> None:
        self._python("-m", SHELL, typed=self._really(block.text))

    def _console(self, block: Block) -> None:
        for step in read_steps(block.text):
            if "terminal" in block.marks:
                self._go_on(block.marks["terminal"], step)
            else:
                code = int(block.marks.get("exit", 0))
                output = self._run(*self._parse(step.command), code=code)
                assert not (left := missing(step.lines, output)), f"{left} in:\n{output}"

    def _go_on(self, name: str, step: Step) -> None:
        if step.command == INTERRUPT:
            self._terminals[name].interrupt()
        elif step.command:
            if name in self._terminals:
                assert not self._terminals[name].running, f"the terminal {name} is in use"
                self._terminals.pop(name).close()
            env, arguments = self._parse(step.command)
            self._terminals[name] = Terminal(arguments, self.directory, env, self._as_on_page)
            self._terminals[name].launch()
        self._terminals[name].expect(step.lines)

    def _parse(self, command: str) -> tuple[dict[str, str], list[str]]:
        words = shlex.split(self._really(command))
        env = self._env
        while "=" in words[0]:
            name, _, env[name] = words.pop(0).partition("=")
        words[0] = shutil.which(words[0], path=env["PATH"]) or words[0]
        return env, words

    def _python(self, *arguments: str, typed: str = "") -> str:
        return self._run(self._env, [sys.executable, *arguments], typed)

    def _run(
        self, env: Mapping[str, str], arguments: list[str], typed: str = "", code: int = 0
    ) -> str:
        options: dict[str, Any] = {"cwd": self.directory, "env": env}
        done = forked.run(arguments, options, typed, TIMEOUT, merged=True)
        ended = f"{arguments} ended with {done.returncode}:\n{done.stdout}"
        assert done.returncode == code, ended
        return self._as_on_page(done.stdout)

    @property
    def _env(self) -> dict[str, str]:
        kept = {key: val for key, val in os.environ.items() if not key.startswith("CELERY_")}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT),  # where the packages are, if they are not installed
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONUNBUFFERED": "1",
        }

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._really(text))

    def _really(self, text: str) -> str:
        for on_page, really in self.addresses.items():
            text = text.replace(on_page, really)
        return text

    def _as_on_page(self, text: str) -> str:
        for on_page, really in self.addresses.items():
            text = text.replace(really, on_page)
        return text

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for terminal in self._terminals.values():
            terminal.close()
