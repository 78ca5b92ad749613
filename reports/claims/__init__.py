"""The paper's claims on the page."""
