#!/usr/bin/env bash
# The README's two commands on an empty Debian, as a user without rights. Needs root, debootstrap and the network:
#     tests/fresh_machine.sh [SUITE [FOLDER]]
# SUITE of Debian: bookworm has Python 3.11, trixie 3.13, sid 3.14. FOLDER (build/fresh-SUITE) is kept for the next time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $(id -u) == 0 ]] || { echo "This makes a root file system: run it as root." >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "Missing: apt-get install debootstrap" >&2; exit 1; }

suite=${1:-bookworm}
root=$(realpath -m "${2:-build/fresh-$suite}")

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

cat >"$home/commands" <<'COMMANDS'
cd project
python3 --version
timed() { local begin=$SECONDS code=0; "$@" || code=$?; echo "== $*: exit code $code, $((SECONDS - begin)) s"; }
timed make demo
export PARTIAL=1 # no Chromium here, and no npm: what needs them is left out
timed make test
COMMANDS
# Mounts and processes go away with the namespace.
exec unshare --mount --pid --fork bash -euc '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" su - person -c "bash commands"
' - "$root"
