#!/usr/bin/env bash
# The README's two commands on an empty Debian, as a user without rights. Needs root, debootstrap and the network:
#     tests/fresh_machine.sh [SUITE [COMMAND...]]
# SUITE of Debian (bookworm): its own Python is what counts. COMMANDs ("make demo" "make test"): each is timed, and none
# after one that failed. The root file system, build/fresh-SUITE, is kept for the next time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $(id -u) == 0 ]] || { echo "This makes a root file system: run it as root." >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "Missing: apt-get install debootstrap" >&2; exit 1; }

suite=${1:-bookworm}
shift || true
(($#)) || set -- "make demo" "make test"
root=$PWD/build/fresh-$suite

if [[ ! -e $root/complete ]]; then
    debootstrap --variant=minbase --include=ca-certificates,git,make,python3,python3-venv "$suite" "$root"
    chroot "$root" useradd --create-home person
    touch "$root/complete"
fi
# How this machine reaches the network is how the new one does.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

home=$root/home/person
rm -rf "$home/project"
git clone --quiet --no-local . "$home/project"
chroot "$root" chown -R person: /home/person

{
    echo "cd project"
    echo "export PARTIAL=1" # no Chromium there, and no npm: what needs them is left out
    echo "python3 --version"
    for command; do
        echo "SECONDS=0; code=0; $command || code=\$?; echo \"== $command: exit code \$code, \$SECONDS s\""
        echo '((code == 0)) || exit $code'
    done
} >"$home/commands"
# Mounts and processes go away with the namespace.
exec unshare --mount --pid --fork bash -euc '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" su - person -c "bash commands"
' - "$root"
