pytest_plugins = ["requirements_plugin"]
