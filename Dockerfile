# The image of `usher`: the program, the few libraries that it needs, and nothing to log in with. It
# runs as nobody in particular (65532) on a root file system that may be read-only; it writes only to
# /var/lib/usher, where its ledger lies.
#
#   docker build -t usher:0.1.0 .

FROM rust:1.95-slim-bookworm AS build
# For SAML: xmlsec, and what makes the bindings of it.
RUN apt-get update && apt-get install -y --no-install-recommends \
      clang libclang-dev libssl-dev libxml2-dev libxmlsec1-dev libxmlsec1-openssl pkg-config && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /work
COPY . .
# The caches outlive the build and are no part of any layer, so the result is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/work/target \
    cargo build --release --locked --bin usher && \
    cp target/release/usher /usr/bin/usher

# glibc and not musl: musl's allocator is slow when many threads serve requests.
# `ldd` names the shared libraries; each goes where the loader looks for it.
RUN set -eu; \
    mkdir -p /image/etc /image/usr/bin /image/var/lib/usher; \
    cp /usr/bin/usher /image/usr/bin/usher; \
    ldd /usr/bin/usher | grep -o '/[^ ]*' | while read -r library; do \
      cp --parents --dereference "$library" /image; \
    done; \
    cp --parents --dereference /etc/ssl/certs/ca-certificates.crt /image; \
    echo 'usher:x:65532:65532:usher:/var/lib/usher:/nologin' >/image/etc/passwd; \
    echo 'usher:x:65532:' >/image/etc/group; \
    echo 'hosts: files dns' >/image/etc/nsswitch.conf

FROM scratch
COPY --from=build /image /
# A volume made from this directory is writable for its user.
COPY --from=build --chown=65532:65532 /image/var/lib/usher /var/lib/usher
USER 65532:65532
# What does not start like this must not be shipped.
RUN ["/usr/bin/usher", "--version"]
EXPOSE 8443 8081
ENTRYPOINT ["/usr/bin/usher"]
