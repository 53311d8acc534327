# Outlives the process that holds the other end of its standard input, and cleans up after it.
# $1: a folder to remove at the end; empty: none.
# Lines: "watch PID SIGNAL" (a process group; the signal that ends it cleanly), "forget PID", "release" (leave all running).
trap '' HUP INT TERM QUIT
folder=$1
watched=
released=
forget() {
    kept=
    for entry in $watched; do
        [ "${entry%:*}" = "$1" ] || kept="$kept $entry"
    done
    watched=$kept
}
while read -r word pid signal; do
    case $word in
        watch) watched="$watched $pid:$signal" ;;
        forget) forget "$pid" ;;
        release) released=yes; watched= folder= ;;
    esac
done
[ -z "$released" ] || exit 0

children=
for entry in $watched; do
    pid=${entry%:*}
    children="$children $(cat /proc/"$pid"/task/*/children 2>/dev/null)"
done
alive() {
    for entry in $watched; do
        case $(cat /proc/"${entry%:*}"/stat 2>/dev/null) in
            '' | *') Z '*) ;; # gone, or only waiting to be reaped
            *) return 0 ;;
        esac
    done
    return 1
}
for child in $children; do kill -s CONT "$child" 2>/dev/null; done
for entry in $watched; do
    kill -s CONT -- "-${entry%:*}" 2>/dev/null
    kill -s "${entry#*:}" -- "-${entry%:*}" 2>/dev/null
done
tries=0
while alive && [ $tries -lt 30 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
for child in $children; do kill -s KILL "$child" 2>/dev/null; done
for entry in $watched; do kill -s KILL -- "-${entry%:*}" 2>/dev/null; done
[ -n "$folder" ] || exit 0
tries=0
while ! rm -rf -- "$folder" 2>/dev/null && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
