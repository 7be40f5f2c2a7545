"""Use cases that read a forecast with vintages, made by `new` with its defaults and a view over the forecast."""
