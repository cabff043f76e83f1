# Removes a folder once nobody holds the other end of our standard input any more: neither the
# owner, nor a guard whose program may still be writing there.
#
# Argument: the folder.

trap '' HUP INT QUIT TERM

while read -r _; do :; done

# A server process whose postmaster was killed writes on for a moment.
tenths=100
until rm -rf -- "$1"; do
    [ "$tenths" -gt 0 ] || exit 1
    tenths=$((tenths - 1))
    sleep 0.1
done 2>/dev/null
