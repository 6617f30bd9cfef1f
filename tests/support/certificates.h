// Certificates for tests, good from 2020 to 2120. The key is nobody's secret.
#pragma once

namespace slipgate::test {

// Trusted by nobody but the tests.
inline constexpr char kAuthority[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBWTCB/6ADAgECAhQmL7dCL70rNFougxPCRs09j3uX6zAKBggqhkjOPQQDAjAZ\n"
    "MRcwFQYDVQQDDA5UZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIw\n"
    "MDEwMTAwMDAwMFowGTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwWTATBgcqhkjO\n"
    "PQIBBggqhkjOPQMBBwNCAASv5tipWnjwlYrsXYd14xd1Erk59gacekDldpJK/bBL\n"
    "YNG9nqtBEDvEFxOjPT0i1K1SEB2y0Jl2qT+8WW9W0WmroyMwITAPBgNVHRMBAf8E\n"
    "BTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNJADBGAiEAyCpDBt36\n"
    "LNxJodbtF6GmEm9VsIDFQsoy2C9lvGaJemECIQCjcmavd0FAGM7tJIrlWFZbXdVt\n"
    "NW/aV66R1ml4M6lj2w==\n"
    "-----END CERTIFICATE-----\n";

// Of kAuthority, for dns.example, *.wild.example, 192.0.2.1 and 2001:db8::1; its subject says cn.example.
inline constexpr char kCertificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgTCCASigAwIBAgIUAq6yAkmTl0qOBORNdCSnQJnLPJIwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEy\n"
    "MDAxMDEwMDAwMDBaMBUxEzARBgNVBAMMCmNuLmV4YW1wbGUwWTATBgcqhkjOPQIB\n"
    "BggqhkjOPQMBBwNCAAQN9cDDujthJJPBMc5+DX+ab9LXMM6xaXDJmhPhnSfs7gdv\n"
    "cr5LIjkKh6afUL3wi+2bcbo2t+f6F2VOOKSCry67o1AwTjAMBgNVHRMBAf8EAjAA\n"
    "MD4GA1UdEQQ3MDWCC2Rucy5leGFtcGxlgg4qLndpbGQuZXhhbXBsZYcEwAACAYcQ\n"
    "IAENuAAAAAAAAAAAAAAAATAKBggqhkjOPQQDAgNHADBEAiBDpZvrxIsxd88G6NmG\n"
    "828r4sBMZmgtycVWD+N6WvbCvQIgVgXsMpw1Fufeg4vbxnDSOWWJ2pLXM1tQKBSU\n"
    "mXkMaHc=\n"
    "-----END CERTIFICATE-----\n";

// The same, over since February 2020.
inline constexpr char kExpired[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgTCCASagAwIBAgIUB7B2lrFiQHvCsFMtWKIREhQFpI8wCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwHhcNMjAwMTAxMDAwMDAwWhcNMjAw\n"
    "MjAxMDAwMDAwWjAVMRMwEQYDVQQDDApjbi5leGFtcGxlMFkwEwYHKoZIzj0CAQYI\n"
    "KoZIzj0DAQcDQgAEDfXAw7o7YSSTwTHOfg1/mm/S1zDOsWlwyZoT4Z0n7O4Hb3K+\n"
    "SyI5Coemn1C98Ivtm3G6Nrfn+hdlTjikgq8uu6NQME4wDAYDVR0TAQH/BAIwADA+\n"
    "BgNVHREENzA1ggtkbnMuZXhhbXBsZYIOKi53aWxkLmV4YW1wbGWHBMAAAgGHECAB\n"
    "DbgAAAAAAAAAAAAAAAEwCgYIKoZIzj0EAwIDSQAwRgIhANV92TCsdIQPS7rMJVC/\n"
    "8Gn1+S6Y5rvTEhwg8i43XBUrAiEApmeV1ng57FN1aD1+6uPT/NaOiTeafc3mXHxN\n"
    "Xw1h+GY=\n"
    "-----END CERTIFICATE-----\n";

// Of the two above.
inline constexpr char kPrivateKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsSRwUSr2l3d0uXnu\n"
    "eiiyy1Vk0BYhFeSAqcQd8gVkXsShRANCAAQN9cDDujthJJPBMc5+DX+ab9LXMM6x\n"
    "aXDJmhPhnSfs7gdvcr5LIjkKh6afUL3wi+2bcbo2t+f6F2VOOKSCry67\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace slipgate::test
