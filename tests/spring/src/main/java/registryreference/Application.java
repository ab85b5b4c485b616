package registryreference;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.validation.Validator;

/**
 * A whole application that does with its registries what the API does at its start, the bootstrap
 * context and its remote configuration included. What {@link Reference} is measured by.
 */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class Application {

    /** The registries of the running application; REFERENCE_SERVICE says whose. */
    @Bean
    Registries registries(Environment environment, Validator validator) {
        return Reference.bind((ConfigurableEnvironment) environment,
                environment.getProperty("REFERENCE_SERVICE", "nvcf"), validator);
    }

    static SpringApplication application() {
        return new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE)
                .bannerMode(org.springframework.boot.Banner.Mode.OFF).logStartupInfo(false)
                .registerShutdownHook(false).build();
    }

    /** Starts, prints the container registries one a line as key, name, host name, and stops. */
    public static void main(String[] arguments) {
        try (ConfigurableApplicationContext context = application().run(arguments)) {
            context.getBean(Registries.class).of("container").forEach(registry -> System.out
                    .println(registry.key() + "\t" + registry.name() + "\t" + registry.hostname()));
        }
    }
}
