#!/bin/sh
# Makes a CA and a certificate for each service, to try TLS with. What is there and still valid for
# a week stays; the rest is made anew, so that running it again renews them.
#
#   deploy/certificates.sh FOLDER [DAYS]      (90 days if not said)
#
# FOLDER gets ca.pem and ca.key, and NAME.pem and NAME.key of each service. With
# CERTIFICATES_OWNER=UID the keys of the services are that user's. NOT FOR PRODUCTION: the CA's key
# lies beside what it signs.
set -eu

folder=${1:?which folder?}
days=${2:-90}
week=604800
mkdir -p "$folder"
cd "$folder"

# is_good NAME: there is a certificate of this CA that is valid for another week, and its key.
is_good() {
    [ -s "$1.key" ] && [ -s "$1.pem" ] &&
        openssl x509 -in "$1.pem" -noout -checkend $week >/dev/null &&
        openssl verify -CAfile ca.pem "$1.pem" >/dev/null 2>&1
}

# new_key NAME: nobody else can read it, not even while it is made.
new_key() {
    (umask 077 && openssl ecparam -name prime256v1 -genkey -noout -out "$1.key.next")
}

# put NAME: the certificate and its key take the place of those before. Each is whole at any time.
put() {
    if [ -n "${CERTIFICATES_OWNER:-}" ] && [ "$1" != ca ]; then
        chown "$CERTIFICATES_OWNER" "$1.key.next"
    fi
    mv -f "$1.pem.next" "$1.pem"
    mv -f "$1.key.next" "$1.key"
    rm -f "$1.conf"
    echo "made $1.pem"
}

if ! is_good ca; then
    new_key ca
    cat >ca.conf <<END
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = Ticketing, a CA to try it with
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
    openssl req -x509 -new -config ca.conf -key ca.key.next -days 3650 -out ca.pem.next
    put ca
fi

for name in catalog-svc booking-svc expiry-worker payment-sim; do
    ! is_good "$name" || continue
    new_key "$name"
    cat >"$name.conf" <<END
[req]
distinguished_name = name
prompt = no
[name]
CN = $name
[service]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:$name, DNS:localhost, IP:127.0.0.1, IP:::1
END
    openssl req -new -config "$name.conf" -key "$name.key.next" |
        openssl x509 -req -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
            -days "$days" -extfile "$name.conf" -extensions service -out "$name.pem.next" 2>/dev/null
    put "$name"
done
