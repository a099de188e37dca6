"""Live progress on stderr: a line with the current step and its time, where there is a terminal."""

from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from cocoon.cli.output import Output


class Steps:
    """Tells steps, facts and streamed text; implements `cocoon.demo.story.Narrator`.

    On a terminal the step that is going on has a spinner and a clock, and leaves a line
    with the time that it took. Elsewhere each step is a plain line as it begins. While
    an answer streams there is no spinner, so the two never mix.
    """

    def __init__(self, output: Output, *, quiet: bool = False) -> None:
        """Tell on *output*; a *quiet* teller keeps steps for terminals, and scripts in peace."""
        self._output = output
        self._quiet = quiet
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._text = ""
        self._in_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish_step()
        self._stop()

    def step(self, text: str) -> None:
        """Begin a step; the one before is over."""
        self._finish_step()
        self._end_line()
        self._text = text
        if not self._output.progress.is_terminal:
            if not self._quiet:
                self._output.note(text)
            return
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._output.progress,
            transient=True,
        )
        self._task = self._live.add_task(text, total=None)
        self._live.start()

    def go_on(self, text: str) -> None:
        """Say how far the step is: the spinner says it until it says more, else it is a line."""
        if self._live is not None and self._task is not None:
            self._text = text
            self._live.update(self._task, description=text)
        else:
            self.step(text)

    def say(self, text: str) -> None:
        """Tell a fact; it stands above the spinner."""
        self._end_line()
        self._output.note(f"  {text}")

    def write(self, text: str) -> None:
        """Stream text; the spinner makes room for it."""
        if self._output.as_json:
            return
        if self._live is not None:
            self._finish_step()
        self._output.write(text)
        self._in_line = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._in_line:
            self._output.write("\n")
            self._in_line = False

    def _finish_step(self) -> None:
        if self._live is None or self._task is None:
            return
        elapsed_s = self._live.tasks[0].elapsed or 0.0
        self._stop()
        line = Text.assemble(f"✓ {self._text} ", (f"{elapsed_s:.1f} s", "dim"))
        self._output.progress.print(line, soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = self._task = None
