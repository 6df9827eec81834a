"""What a process has to say although it is killed: how its work goes on."""

import subprocess
from types import TracebackType
from typing import Final, Self

# Its end of the pipe closes with the process, whatever ends that; a line says that all is well.
_WAIT: Final = 'trap "" HUP INT TERM; read -r _ || printf "%s\\n" "$WORDS" >&2'


class LastWords:
    """Context that leaves a text on stderr if the process ends inside it, or an error leaves it.

    No code of a process runs any more after kill -9, or where Ray aborts its driver as the
    cluster's head is gone. So a shell waits beside it for its end.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["sh", "-c", _WAIT],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={"WORDS": self._text},  # who looks at the processes should not take it for true
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._shell.communicate(b"\n")
        # Else it speaks after the process has said what the error was.
