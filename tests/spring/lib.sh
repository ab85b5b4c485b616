# shellcheck shell=bash
# What the scripts here share: Maven, and whether the reference program is built.
#
# Needs: to be in tests/spring. Left to others: what is done with it, and all output.

# maven LOG ARGUMENT…: offline where the cache has all, else with the network
maven() {
    local log=$1
    shift
    mvn -o -q -B "$@" >"$log" 2>&1 || {
        grep -qE 'in offline mode|has not been downloaded|Could not resolve|PluginResolution' "$log" &&
            mvn -q -B "$@" >"$log" 2>&1
    }
}

# reference_fresh: the classes are newer than everything they are made of
reference_fresh() {
    [ -s target/classpath ] && [ -e target/classes/registryreference/Batch.class ] &&
        [ -z "$(find pom.xml src/main -newer target/classes/registryreference/Batch.class -print -quit)" ]
}
