package registryreference;

import java.util.Map;
import org.springframework.boot.env.PropertySourceInfo;
import org.springframework.boot.origin.Origin;
import org.springframework.boot.origin.OriginLookup;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;

/**
 * An environment that Spring takes for the process's own: it never changes. That decides the order
 * in which Spring meets the names: first those that read as variables, then those that read only as
 * properties (dotted ones), each group in the order of the map. System.getenv() is a HashMap whose
 * size, and thus whose order, depends on how many variables there are in all.
 */
final class ProcessEnvironmentSource extends SystemEnvironmentPropertySource
        implements PropertySourceInfo, OriginLookup<String> {

    private final OriginLookup<String> origins;

    @SuppressWarnings("unchecked")
    ProcessEnvironmentSource(SystemEnvironmentPropertySource source) {
        super(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                (Map<String, Object>) (Map<?, ?>) source.getSource());
        this.origins = (OriginLookup<String>) source;
    }

    @Override
    public Origin getOrigin(String key) {
        return origins.getOrigin(key);
    }

    @Override
    public String getPrefix() {
        return null;
    }

    @Override
    public boolean isImmutable() {
        return true;
    }
}
