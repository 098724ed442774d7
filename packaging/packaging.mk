# Installing, the static release build.
