# packages.sh - which Debian 12 packages Etinde needs; sourced by ./run and ./test.
#
#   packages_install build        what building needs
#   packages_install build test   and what the tests need on top
#
# Installs only what is missing, as root or with sudo, and says what.

packages_build=(
    gcc g++ cmake ninja-build pkg-config git ca-certificates curl
    libmicrohttpd-dev liblmdb-dev libzstd-dev libpcre2-dev libprotobuf-c-dev protobuf-c-compiler
    libsnappy-dev libxxhash-dev libyaml-dev zlib1g-dev libcurl4-gnutls-dev tzdata
    libcmocka-dev libjansson-dev libre2-dev)

packages_test=(
    clang-14 clang-format-14 libclang-rt-14-dev llvm-14 util-linux python3 python3-lmdb python3-zstandard python3-xxhash
    prometheus prometheus-node-exporter victoria-metrics)

# Prints those of its arguments that are not installed.
packages_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

packages_install() {
    local wanted=() missing=() as_root=() set
    for set in "$@"; do
        case $set in
        build) wanted+=("${packages_build[@]}") ;;
        test)
            wanted+=("${packages_test[@]}")
            command -v npm >/dev/null || missing+=(nodejs npm)
            ;;
        esac
    done
    mapfile -t -O "${#missing[@]}" missing < <(packages_missing "${wanted[@]}")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing packages: ${missing[*]}; install them as root, there is no sudo here" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq </dev/null &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}
