package registryreference;

import java.util.List;
import java.util.SplittableRandom;

/** What generators decide with. */
final class Dice {

    private final SplittableRandom random;

    Dice(long seed) {
        random = new SplittableRandom(seed);
    }

    boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    <T> T pick(List<T> list) {
        return list.get(random.nextInt(list.size()));
    }

    /** From 0 to the one below. */
    int below(int bound) {
        return random.nextInt(bound);
    }
}
