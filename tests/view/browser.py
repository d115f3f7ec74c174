"""
A real Chromium, for the tests of the page: `python tests/view/browser.py` installs Debian's where that can be done.

It gets a new profile, no network of its own, and tells afterwards what it asked for and complained about.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)
WAIT_S = 10
DOWN, ENTER, ESCAPE = "\ue015", "\ue007", "\ue00c"
"""Keys, as WebDriver writes them."""


def why_missing():
    """Why there is no browser to test with; `None` if there is one."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {' and no '.join(missing)} on PATH: `make page-tests` installs it where apt-get can"
    return None if find_spec("selenium") else "no selenium: pip install 'spanscript[browser]'"


class Browser:
    """One window. Everything it shows is a file, or comes from loopback."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, url, *, size=(1280, 800), scheme="light"):
        """Open an address anew, and wait for the calls."""
        self.driver.get("about:blank")
        self.logs()
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(url)
        self.until(lambda: self.all(".rows, .opening.failed"))

    def until(self, condition):
        """What a condition gives, once it gives something."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, WAIT_S, 0.02).until(lambda _: condition())

    def until_text(self, selector, text):
        self.until(lambda: text in self.text(selector))

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector):
        """As they are seen: what is new on the screen has a text once it was drawn, in the second frame."""
        code = """
        const [selector, done] = arguments;
        const read = () => done([...document.querySelectorAll(selector)].map(e => e.innerText));
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(read)));
        """
        return self.driver.execute_async_script(code, selector)

    def text(self, selector):
        return "\n".join(self.texts(selector))

    def click(self, selector):
        self.until(lambda: self.all(selector))[0].click()

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def logs(self):
        """What the console says, and which addresses were asked for, since the last time."""
        console = [line["message"] for line in self.driver.get_log("browser")]
        events = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return console, [url for url in asked if not url.startswith("data:")]

    def quit(self):
        self.driver.quit()


def install():
    """Install what is missing, if we may."""
    reason = why_missing()
    if reason is None:
        return
    if all(map(shutil.which, PROGRAMS)) or os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{reason}. The tests that need it are skipped.")
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], env=environment, check=True)


if __name__ == "__main__":
    try:
        install()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}. The tests that need a browser are skipped.")
