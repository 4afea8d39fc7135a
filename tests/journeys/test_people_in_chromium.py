"""People in a real browser: a second factor from its picture to the day the app is lost, and devices that are put out."""

import re
import time

import httpx
import pyotp
from playwright.async_api import Page, expect

from pregao.edges.paper.serve import PaperSettings
from tests.journeys.test_console_in_chromium import browsing, come_in, pytestmark
from tests.journeys.whole_desk import running_desk

__all__ = ["pytestmark"]

EMAIL, PASSWORD = "ana@desk.test", "correct horse battery"
LOGIN, USERS = "/api/v1/auth/login", "/api/v1/admin/users"
TOLD = ("status of 401",)  # a browser complains of every refusal it is shown


async def turn_on(page: Page) -> list[str]:
    """Turn a second factor on as people do, and give the recovery codes."""
    await page.get_by_role("button", name="Turn on").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Go on").click()
    await expect(dialog.locator("img.picture")).to_be_visible()
    width = await dialog.locator("img.picture").evaluate("(one) => one.naturalWidth")
    assert width > 0, "the policy let the picture through"
    secret = await dialog.locator("#factor-secret").text_content()
    await dialog.get_by_label("The code it shows now").fill(pyotp.HOTP(secret).at(int(time.time()) // 30))
    await dialog.get_by_role("button", name="Turn on").click()
    await expect(dialog.locator("#codes-text")).to_be_visible()
    codes = (await dialog.locator("#codes-text").text_content()).split()
    await dialog.get_by_role("link", name="I have kept them").click()
    await expect(page.locator("#factor")).to_contain_text("10 recovery codes are left.")
    return codes


async def give_password(page: Page) -> None:
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code of your app")).to_be_visible()


class TestPeopleInChromium:
    async def test_come_in_with_a_code_and_put_other_devices_out(self, database, tmp_path):
        """A second factor on, a wrong code, a recovery code, another device ended, off again; then somebody else's rights."""
        async with (
            running_desk(database, tmp_path, paper=PaperSettings(still=True), is_traded=False) as desk,
            browsing(desk, expected=TOLD) as page,
        ):
            await come_in(page)
            await page.get_by_role("link", name="My account").click()
            codes = await turn_on(page)
            assert len(codes) == 10

            await page.get_by_role("button", name="Sign out", exact=True).first.click()
            await give_password(page)
            await page.get_by_label("Code of your app").fill("000 000 0")
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("alert")).to_contain_text("This is not the code of this moment")
            await page.get_by_label("Code of your app").fill(codes[0])
            await page.get_by_role("button", name="Sign in").click()
            # The overview, or where he was when a page of his noticed first that he had gone.
            await expect(page.get_by_role("link", name="My account")).to_be_visible()

            async with httpx.AsyncClient(base_url=desk.client.base_url, timeout=20, verify=False) as other:
                given = {"email": EMAIL, "password": PASSWORD, "code": codes[1]}
                other.headers["User-Agent"] = "other-device/1.0"
                login = await other.post(LOGIN, json=given)
                assert login.status_code == 200, login.text
                other.headers["Authorization"] = f"Bearer {login.json()['token']}"
                await page.goto("/console/me")
                device = page.get_by_role("row", name=re.compile("other-device"))
                await device.get_by_role("button", name="Sign out").click()
                dialog = page.get_by_role("dialog")
                await expect(dialog).to_contain_text("other-device")
                await dialog.get_by_role("button", name="Sign out").click()
                await expect(device).to_have_count(0)
                assert (await other.get("/api/v1/auth/me")).status_code == 401

            await page.get_by_role("button", name="Turn off").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Password").fill(PASSWORD)
            await dialog.get_by_label("Code of your app").fill(codes[2])
            await dialog.get_by_role("button", name="Turn off").click()
            await expect(page.locator("#factor")).to_contain_text("Whoever has your password is in.")

            await page.get_by_role("link", name="People", exact=True).click()
            await page.get_by_role("button", name="New user").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("E-mail").fill("bruno@desk.test")
            await dialog.get_by_label("Name").fill("Bruno")
            await dialog.get_by_role("button", name="Make").click()
            first_password = dialog.locator("#first-password")
            await expect(first_password).to_be_visible()
            given = {"email": "bruno@desk.test", "password": await first_password.text_content()}
            await dialog.get_by_role("button", name="Close").click()
            await page.get_by_role("link", name="Bruno").click()
            await page.get_by_label("Role").select_option("viewer")
            await page.get_by_label("Loss in a UTC day").fill("250")
            for card in ("What he may", "Limits of all his accounts together"):
                section = page.locator("section", has=page.get_by_role("heading", name=card))
                async with page.expect_response(lambda one: one.request.method != "GET"):
                    await section.get_by_role("button", name="Change").click()
                await expect(page.locator(".toast").first).to_contain_text("Changed.")
            [bruno] = [one for one in (await desk.ask("GET", USERS))["items"] if one["name"] == "Bruno"]
            async with httpx.AsyncClient(base_url=desk.client.base_url, timeout=20, verify=False) as stranger:
                me = (await stranger.post(LOGIN, json=given)).json()["user"]
            assert (me["role"], me["max_daily_loss_usd"]) == ("viewer", "250")

            await page.get_by_label("Loss in a UTC day").fill("")
            await section.get_by_role("button", name="Change").click()
            await expect(page.locator("#list")).to_contain_text("python-httpx")  # drawn anew, with his device
            await page.get_by_role("button", name="Deactivate").click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Type bruno@desk.test").fill("bruno@desk.test")
            await dialog.get_by_role("button", name="Deactivate").click()
            await expect(page.locator("#list")).to_contain_text("inactive")
            him = await desk.ask("GET", f"{USERS}/{bruno['user_id']}")
            assert (him["is_active"], him["max_daily_loss_usd"]) == (False, None)

            await page.goto("/console/audit?what=patch_user")
            await expect(page.locator("#list tbody tr")).to_have_count(4)
            await expect(page.locator("#list tbody")).to_contain_text("ana@desk.test")
