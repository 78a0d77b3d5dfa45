#!/usr/bin/env bash
# Shows the rooms of the code and which room uses which, according to the #include lines.
#   rooms.sh            prints the floors: a room stands above all rooms that it uses. Fails when there is a cycle
#   rooms.sh --picture  prints a Mermaid diagram, without the arrows that others imply
#   rooms.sh --current  complains when the diagram in docs/SYSTEM_DESIGN.md is outdated
#   rooms.sh --write    writes the diagram into docs/SYSTEM_DESIGN.md
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
doc=docs/SYSTEM_DESIGN.md

# Prints "A B" for each room A that includes a header of room B. "A A" is there for rooms without arrows.
arrows() {
    local room
    for room in include/common/* src/order src/delivery; do
        room=${room##*/}
        echo "$room $room"
        { cat "include/common/$room"/*.h "src/common/$room"/* "src/$room"/* 2>/dev/null || true; } |
            sed -n 's|^#include "common/\([a-z]*\)/.*|\1|p' | sort -u | sed "s|^|$room |"
    done | sort -u
}

# Prints the rooms from the ground up, one per line. When there is a cycle, it fails and names its rooms.
sorted() { arrows | tsort | tac; }

floors() {
    sorted | awk -v arrows="$(arrows)" '
        BEGIN { n = split(arrows, line, "\n"); for (i = 1; i <= n; i++) { split(line[i], a, " "); uses[a[1], a[2]] = 1 } }
        {   floor[$1] = 1
            for (room in floor) if (room != $1 && uses[$1, room] && floor[room] >= floor[$1]) floor[$1] = floor[room] + 1
            names[floor[$1]] = names[floor[$1]] " " $1
            if (floor[$1] > top) top = floor[$1] }
        END { for (i = top; i > 0; i--) print "floor " i ":" names[i] }'
}

# Prints the diagram. An arrow is omitted when a longer way leads to the same room.
picture() {
    printf '```mermaid\nflowchart TD\n'
    arrows | awk '
        $1 != $2 { uses[$1, $2] = 1 } { rooms[$1] = 1 }
        END { for (a in rooms) for (b in rooms) for (c in rooms)
                  if (uses[a, b] && uses[b, c] && uses[a, c]) implied[a, c] = 1
              for (a in rooms) for (b in rooms) if (uses[a, b] && !implied[a, b]) print "    " a " --> " b }' | sort
    printf '```\n'
}

# Prints the document with the current picture.
with_picture() {
    awk -v picture="$(picture)" '
        /<!-- rooms: end -->/ { inside = 0 }
        !inside
        /<!-- rooms: begin -->/ { print picture; inside = 1 }' "$doc"
}

case ${1:-} in
"") floors ;;
--picture) picture ;;
--current) [[ $(with_picture) == "$(<"$doc")" ]] || echo "$doc: the picture of the rooms is outdated; run scripts/rooms.sh --write" ;;
--write) text=$(with_picture) && printf '%s\n' "$text" >"$doc" ;;
*) die "usage: rooms.sh [--picture | --current | --write]" ;;
esac
