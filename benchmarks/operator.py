"""What an operator feels: real processes on the real clock, a page's own WebSocket, a device at 100 Hz.

- From a key, and from a moving device, to the first command that moves, with the learner at work. At 10 Hz a
  key waits up to one control tick for the next command, so the targets are one tick and some ms.
- How far the commanded pose jumps when control changes hands, over what one action may move it.
- From the page's emergency stop to an arm that holds, and from the end (SIGKILL) of the actor, of the
  safety supervisor, of the intervention node and of the console in the operator's hands.
- What the console costs: its process with two cameras at 15 Hz and a page that looks, and the control ticks
  of the same graph with and without it.
- False stops, in a training with a scripted person on the real clock (`--soak` minutes): faults other than
  those of an arm that pressed too hard or went too far, which a policy does that still learns, and holds.
"""

from __future__ import annotations

import sys

if __name__ != "__main__":
    # This folder is the first place where the other scripts look for modules, and to them, as to the whole
    # standard library, this name means the standard library's.
    from _operator import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]
else:
    sys.path.append(sys.path.pop(0))  # so it is for this one
    from operator_figures import measure
    from report import finish, options

    parser = options(__doc__)
    parser.add_argument("--soak", type=float, default=30.0, help="length of the training without stops [min]")
    given = parser.parse_args()
    sys.exit(finish("operator", measure(given), given))
