"""The pages: HTML, CSS, ES modules and translations, served as they are."""
