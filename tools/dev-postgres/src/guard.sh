# Runs one program for an owner, and ends it when the owner ends, however that came about: the
# kernel closes the owner's end of our standard input even when the owner was killed outright.
#
#   standard input   the owner's orders, a line each; its end is the order to stop
#   standard output  the program's process id, or (log is "-") the program's own output
#   standard error   only held open: the reader of the other end sees when we are gone
#
# Arguments: seconds to wait for an orderly end, log file or "-", the program, its arguments.
# Our exit status is the program's.

# We go when the program is gone, and never earlier.
trap '' HUP INT QUIT TERM PIPE

patience=$1
log=$2
shift 2

# A background process gets an empty standard input unless redirected.
exec 3<&0

if [ "$log" = - ]; then
    "$@" </dev/null 2>&1 3<&- &
    program=$!
else
    "$@" </dev/null >>"$log" 2>&1 3<&- &
    program=$!
    printf '%s\n' "$program"
fi

# True if the program was gone within this many tenths of a second.
gone_within() {
    tenths=$1
    while kill -0 "$program"; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# To PostgreSQL: INT is the fast shutdown, QUIT the immediate one.
(
    while read -r order; do
        case $order in
            kill) kill -KILL "$program" ;;
        esac
    done
    kill -INT "$program"
    gone_within $((patience * 10)) && exit
    kill -QUIT "$program"
    gone_within 50 && exit
    kill -KILL "$program"
) <&3 3<&- >/dev/null 2>&1 &
listener=$!

wait "$program"
status=$?
kill -KILL "$listener" 2>/dev/null
exit "$status"
