#!/usr/bin/env bash
# Lets this machine, and so its containers, run programs of another architecture with qemu-user: emulate.sh arm64
# Does nothing where they run already. Else it installs qemu-user and makes it known to the kernel, until the machine is
# started again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

declare -A names=([amd64]=x86_64 [arm64]=aarch64)
arch=${1:-}
[[ $# -eq 1 && -n ${names[$arch]:-} ]] || die "usage: emulate.sh ${!names[*]}"
name=${names[$arch]} known=/proc/sys/fs/binfmt_misc

works() { [[ $(uname -m) == "$name" ]] || grep -qsx enabled "$known"/*"$name"; }

works && exit
"$ROOT/scripts/install-deps.sh" emulate
[[ -e $known/register ]] || as_root mount -t binfmt_misc binfmt_misc "$known" || die "the kernel has no binfmt_misc"
works || as_root update-binfmts --enable "qemu-$name" || die "qemu-$name cannot be made known to the kernel"
works || die "the kernel does not know qemu-$name"
