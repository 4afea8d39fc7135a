"""Which destinations there are: public addresses, in every spelling and carrier, and what is allowed by name."""

import pytest

from pregao.destinations.addresses import allowed_hosts, check_addresses, is_public, read_url
from pregao.destinations.refusals import SettingUnusableError


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "scheme", "host", "port"),
        [
            ("https://webhooks.traderspost.io/trading/webhook/a/b", "https", "webhooks.traderspost.io", 443),
            ("http://hooks.local", "http", "hooks.local", 80),
            ("https://Example.COM.:8443/x?secret=1#y", "https", "example.com", 8443),
            ("http://127.0.0.1:9000/in", "http", "127.0.0.1", 9000),
            ("http://[::1]:9000/in", "http", "::1", 9000),
            ("https://my_box-1.example/", "https", "my_box-1.example", 443),
            ("https://xn--mnchen-3ya.example/", "https", "xn--mnchen-3ya.example", 443),
        ],
    )
    def test_is_read(self, url, scheme, host, port):
        read = read_url(url)

        assert (read.scheme, read.host, read.port) == (scheme, host, port)

    @pytest.mark.parametrize(
        "url",
        [
            "", "hooks.local/in", "ftp://example.com/x", "file:///etc/passwd", "gopher://example.com", "https://",
            "https:///path", "https://user:pass@example.com/", "https://example.com@127.0.0.1/", "http://exa mple.com",
            "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/",
            "http://127.0.0.1.:80:80/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://example.com:0/",
            "http://example.com:99999/", "http://[::1/", "http://[fe80::1%25eth0]/", "http://[::g]/",
            "http://exa\\mple.com/", "http://a..b/", "http://-/", "http://\u2460\u2461\u2466.0.0.1/",
            "https://example.com/" + "x" * 2_000, "https://" + "a." * 130 + "com/", "http://example.com/\r\nHost: x",
        ],
    )  # fmt: skip
    def test_is_refused_and_not_repeated(self, url):
        with pytest.raises(SettingUnusableError) as refused:
            read_url(url)

        assert refused.value.code == "DESTINATION_URL_UNUSABLE"
        assert "pass" not in refused.value.message.replace("password", "")


class TestAddress:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0",
            "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.1",
            "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1",
            "::ffff:127.0.0.1", "::ffff:a00:1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001::1", "2001:0:5ef5:79fd::1", "2001:db8::1",
            "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1",
            "5f00::1", "4000::1",
        ],
    )  # fmt: skip
    def test_is_not_public(self, address):
        assert not is_public(address)

    @pytest.mark.parametrize(
        "address",
        [
            "1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1",
            "2606:4700:4700::1111", "2a00:1450:4001:800::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
        ],
    )  # fmt: skip
    def test_is_public(self, address):
        assert is_public(address)


class TestCheck:
    def test_refuses_a_host_of_which_one_address_is_not_public(self):
        with pytest.raises(SettingUnusableError) as refused:
            check_addresses("evil.example", ["8.8.8.8", "10.0.0.1"], allowed=frozenset())

        assert refused.value.code == "DESTINATION_FORBIDDEN"
        assert (refused.value.details["host"], refused.value.details["address"]) == (
            "evil.example",
            "10.0.0.1",
        )

    def test_lets_a_host_that_is_allowed_by_name_have_any(self):
        allowed = allowed_hosts(["127.0.0.1", "Hooks.Local.", "[::1]"])

        for host, address in (("127.0.0.1", "127.0.0.1"), ("hooks.local", "10.0.0.1"), ("::1", "::1")):
            check_addresses(host, [address], allowed=allowed)
        with pytest.raises(SettingUnusableError):
            check_addresses("other.local", ["127.0.0.1"], allowed=allowed)

    def test_refuses_a_host_without_an_address_even_if_it_is_allowed(self):
        with pytest.raises(SettingUnusableError) as refused:
            check_addresses("hooks.local", [], allowed=frozenset({"hooks.local"}))

        assert refused.value.code == "DESTINATION_UNRESOLVED"
