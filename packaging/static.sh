#!/usr/bin/env bash
# Builds the libraries of the static release binary with musl, from Debian's source packages, into
# DIR/{include,lib} (default build/static-deps). A library that is built already is left alone, so a second run
# takes a second. The sources come from the package archive that this machine itself is set up with; apt checks
# their signatures.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "${1:-build/static-deps}"
dest=$(cd "${1:-build/static-deps}" && pwd)
src=$dest/src
log=$dest/log
mkdir -p "$src" "$log" "$dest/include" "$dest/lib"
jobs=${JOBS:-2}

# libuv and friends need the kernel's headers, which musl does not bring. Only those, none of glibc's.
kernel=$dest/kernel-headers
mkdir -p "$kernel"
ln -sfn /usr/include/linux "$kernel/linux"
ln -sfn /usr/include/asm-generic "$kernel/asm-generic"
ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$kernel/asm"

export CC=musl-gcc
# Sections let the linker drop what is unused.
export CFLAGS="-Os -fstack-protector-strong -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -idirafter $kernel"
export CPPFLAGS="-I$dest/include" LDFLAGS="-L$dest/lib -static" PKG_CONFIG_LIBDIR="$dest/lib/pkgconfig"
common=(--host="$(musl-gcc -dumpmachine)" --prefix="$dest" --disable-shared --enable-static --disable-dependency-tracking)

apt_ready=no
# An apt of its own under the build folder: the machine's sources are only read, and only the entries that call
# themselves Debian's are taken over, as deb-src.
apt_own() {
    apt-get -q -o Dir::Etc::SourceList="$dest/apt/${list:-sources.list}" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$dest/apt/lists" -o Dir::Cache="$dest/apt/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
apt_prepare() {
    [ "$apt_ready" = no ] || return 0
    mkdir -p "$dest/apt/lists/partial" "$dest/apt/cache/archives/partial"
    apt-get indextargets --format '$(ORIGIN) deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
        sed -n 's/^Debian deb-src/deb-src/p' | sort -u >"$dest/apt/sources.list"
    if ! [ -s "$dest/apt/sources.list" ]; then
        echo "static.sh: this machine has no Debian package lists; run apt-get update first" >&2
        return 1
    fi
    rm -f "$dest"/apt/only-*
    split -l 1 "$dest/apt/sources.list" "$dest/apt/only-"
    apt_own update >"$log/apt-update" 2>&1 || { tail -n 20 "$log/apt-update" >&2; return 1; }
    apt_ready=yes
}

# fetch SOURCE: unpacks Debian's source package, patches applied, into $src/SOURCE. Newest first; where one part
# of the archive (say, security) lists a version that its mirror does not carry, each part is asked alone.
fetch() {
    apt_prepare
    local list
    : >"$log/$1.fetch"
    for list in sources.list $(cd "$dest/apt" && ls -d only-*); do
        rm -rf "${src:?}/$1" "$src/$1.dl"
        mkdir -p "$src/$1.dl"
        if (cd "$src/$1.dl" && apt_own source --download-only "$1" && dpkg-source --no-check -x ./*.dsc "$src/$1") \
            >>"$log/$1.fetch" 2>&1; then
            return 0
        fi
    done
    tail -n 20 "$log/$1.fetch" >&2
    echo "static.sh: cannot fetch the source of $1" >&2
    return 1
}

# library SOURCE ARCHIVE FUNCTION: fetches and builds unless it is there.
library() {
    if [ -f "$dest/lib/$2" ] && [ -f "$dest/built-$1" ]; then
        return 0
    fi
    echo "static.sh: building $1"
    fetch "$1"
    # In the background, because bash forgets `set -e` to the left of a `||`.
    (cd "$src/$1" && "$3") >"$log/$1.build" 2>&1 &
    wait $! ||
        { tail -n 30 "$log/$1.build" >&2; echo "static.sh: $1 does not build; see $log/$1.build" >&2; return 1; }
    [ -f "$dest/lib/$2" ] || { echo "static.sh: building $1 made no lib/$2; see $log/$1.build" >&2; return 1; }
    touch "$dest/built-$1"
    rm -rf "${src:?}/$1" "$src/$1.dl"
}

configure() {
    if ! [ -x configure ]; then
        [ -f m4/libtool.m4 ] || [ ! -f autogen.sh ] || NOCONFIGURE=1 sh autogen.sh
        [ -x configure ] || autoreconf -fi
    fi
    ./configure "${common[@]}" "$@"
}

build_libuv() {
    configure
    make -j"$jobs" libuv.la
    make install-libLTLIBRARIES
    cp -r include/uv include/uv.h "$dest/include/"
}
build_libsodium() {
    configure --disable-ssp --disable-pie
    make -j"$jobs"
    make install
}
# msgpack-c is three C files; its cmake build would need cmake for them alone.
build_msgpack() {
    local little=1 f
    [ "$(printf '\1\0' | od -An -td2 | tr -d ' ')" = 1 ] || little=0
    for f in pack_template.h sysdep.h; do
        sed "s/@MSGPACK_ENDIAN_LITTLE_BYTE@/$little/; s/@MSGPACK_ENDIAN_BIG_BYTE@/$((1 - little))/" \
            "cmake/$f.in" >"include/msgpack/$f"
    done
    local c
    for c in objectc unpack version vrefbuffer zone; do
        $CC $CFLAGS -Iinclude -c "src/$c.c" -o "$c.o"
    done
    ar rcs "$dest/lib/libmsgpackc.a" ./*.o
    cp -r include/msgpack include/msgpack.h "$dest/include/"
}
build_ldns() {
    configure --without-ssl --disable-dane --disable-dane-verify --disable-dane-ta-usage --disable-ecdsa \
        --disable-gost --disable-dsa --disable-ed25519 --disable-ed448 --disable-sha2 --disable-rpath \
        --without-drill --without-examples --without-pyldns --without-pyldnsx
    make -j"$jobs" lib
    make install-lib install-h
}
build_libyaml() {
    configure
    make -j"$jobs" -C src
    make -C src install
    make -C include install
}
build_jansson() {
    configure
    make -j"$jobs" -C src
    make -C src install
}
build_sqlite3() {
    local off="-DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_PROGRESS_CALLBACK
        -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_AUTHORIZATION -DSQLITE_OMIT_TRACE -DSQLITE_OMIT_COMPLETE
        -DSQLITE_OMIT_DECLTYPE -DSQLITE_OMIT_GET_TABLE -DSQLITE_OMIT_TCL_VARIABLE -DSQLITE_OMIT_UTF16
        -DSQLITE_OMIT_JSON -DSQLITE_OMIT_VIRTUALTABLE -DSQLITE_OMIT_WINDOWFUNC -DSQLITE_OMIT_FOREIGN_KEY
        -DSQLITE_OMIT_TRIGGER -DSQLITE_OMIT_VIEW -DSQLITE_OMIT_EXPLAIN
        -DSQLITE_OMIT_CTE -DSQLITE_OMIT_DATETIME_FUNCS -DSQLITE_OMIT_COMPILEOPTION_DIAGS"
    local keep="-DSQLITE_THREADSAFE=2 -DSQLITE_DQS=0 -DSQLITE_TEMP_STORE=3 -DSQLITE_LIKE_DOESNT_MATCH_BLOBS
        -DSQLITE_MAX_EXPR_DEPTH=0 -DSQLITE_USE_ALLOCA"
    # The parser is generated, and what is left out must be known then: hence from the canonical sources.
    off=$(tr -s '\n ' ' ' <<<"$off")
    keep=$(tr -s '\n ' ' ' <<<"$keep")
    CC=gcc CFLAGS=-O1 LDFLAGS= ./configure --disable-readline --disable-tcl --disable-shared --disable-load-extension
    make OPTS="$off" BCC=gcc sqlite3.c sqlite3.h
    # shellcheck disable=SC2086
    $CC $CFLAGS $off $keep -c sqlite3.c -o sqlite3.o
    ar rcs "$dest/lib/libsqlite3.a" sqlite3.o
    cp sqlite3.h "$dest/include/"
}
build_microhttpd() {
    configure --disable-https --disable-curl --disable-doc --disable-examples --disable-bauth --disable-dauth \
        --disable-postprocessor --enable-epoll --enable-poll
    make -j"$jobs" -C src/microhttpd libmicrohttpd.la
    make -C src/microhttpd install-libLTLIBRARIES
    make -C src/include install
}
# HTTP to a container engine's Unix socket, and nothing else.
build_curl() {
    configure --without-ssl --without-zlib --without-brotli --without-zstd --without-nghttp2 --without-nghttp3 \
        --without-ngtcp2 --without-libidn2 --without-libpsl --without-libssh2 --without-librtmp --without-libgsasl \
        --disable-ftp --disable-file --disable-ldap --disable-ldaps --disable-rtsp --disable-dict --disable-telnet \
        --disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp --disable-gopher --disable-mqtt \
        --disable-manual --disable-cookies --disable-http-auth --disable-netrc --disable-doh --disable-mime \
        --disable-dateparse --disable-proxy --disable-hsts --disable-alt-svc --disable-threaded-resolver --disable-ares \
        --disable-progress-meter --disable-libcurl-option --disable-headers-api --disable-socketpair \
        --disable-get-easy-options --disable-websockets --disable-ipv6 --enable-unix-sockets
    make -j"$jobs" -C lib
    make -C lib install
    make -C include install
}

build_zlib() {
    ./configure --static --prefix="$dest"
    make -j"$jobs" libz.a
    make install
}
build_libzstd() {
    make -j"$jobs" -C lib libzstd.a ZSTD_LEGACY_SUPPORT=0 ZSTD_LIB_COMPRESSION=1 ZSTD_LIB_DICTBUILDER=0 \
        ZSTD_LIB_DEPRECATED=0
    cp lib/libzstd.a "$dest/lib/"
    cp lib/zstd.h lib/zstd_errors.h "$dest/include/"
}
# Reading tar, gzip and zstd is all that is used; what is not is not linked.
build_libarchive() {
    # The package's libtool parts are of several versions.
    autoreconf -fi
    configure --disable-bsdtar --disable-bsdcat --disable-bsdcpio --disable-acl --disable-xattr --without-bz2lib \
        --without-iconv --without-lz4 --without-lzma --without-lzo2 --without-cng --without-nettle --without-openssl \
        --without-xml2 --without-expat --with-zlib --with-zstd
    make -j"$jobs" libarchive.la
    make install-libLTLIBRARIES install-includeHEADERS
}

library libuv1 libuv.a build_libuv
library libsodium libsodium.a build_libsodium
library msgpack-c libmsgpackc.a build_msgpack
library ldns libldns.a build_ldns
library libyaml libyaml.a build_libyaml
library jansson libjansson.a build_jansson
library sqlite3 libsqlite3.a build_sqlite3
library libmicrohttpd libmicrohttpd.a build_microhttpd
library curl libcurl.a build_curl
library zlib libz.a build_zlib
library libzstd libzstd.a build_libzstd
library libarchive libarchive.a build_libarchive
