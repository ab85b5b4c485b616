package registryreference;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.Consumer;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.context.properties.bind.BindContext;
import org.springframework.boot.context.properties.bind.BindHandler;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.bind.validation.ValidationBindHandler;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.env.RandomValuePropertySource;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.boot.support.SpringApplicationJsonEnvironmentPostProcessor;
import org.springframework.boot.support.SystemEnvironmentPropertySourceEnvironmentPostProcessor;
import org.springframework.cloud.bootstrap.config.BootstrapPropertySource;
import org.springframework.cloud.bootstrap.config.PropertySourceBootstrapProperties;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MutablePropertySources;
import org.springframework.core.env.PropertiesPropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.SimpleCommandLinePropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.core.io.ClassPathResource;
import org.springframework.core.io.Resource;
import org.springframework.validation.beanvalidation.LocalValidatorFactoryBean;

/**
 * Binds the registries of one input the way the API does at its start, without the rest of an
 * application start: the property sources in the order that a Spring Cloud bootstrap leaves them,
 * made by Spring's own post processors, then Binder and validator. {@code AgreementTest} proves that
 * this and a whole SpringApplication.run say the same.
 */
final class Reference {

    private final List<PropertySource<?>> defaults;
    private final LocalValidatorFactoryBean validator = new LocalValidatorFactoryBean();
    private final Set<String> permanent = new HashSet<>();
    private final ThreadLocal<ConfigurableEnvironment> environments =
            ThreadLocal.withInitial(this::newEnvironment);
    private final SpringApplication application = new SpringApplication(Reference.class);

    Reference() {
        defaults = new ArrayList<>();
        defaults.addAll(yaml("application-ncp", new ClassPathResource("application-ncp.yaml")));
        defaults.addAll(yaml("application", new ClassPathResource("application.yaml")));
        validator.afterPropertiesSet();
        newEnvironment().getPropertySources().forEach(source -> permanent.add(source.getName()));
    }

    static List<PropertySource<?>> yaml(String name, Resource resource) {
        try {
            return new YamlPropertySourceLoader().load(name, resource);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Remote configuration as the bootstrap context hands it over. */
    static List<PropertySource<?>> remote(String text) {
        return List.of(new BootstrapPropertySource<>(RemoteConfiguration.source(text)));
    }

    /**
     * The environment for one input. The YAML sources below it are the same ones for every input of
     * a thread, so that Spring keeps what it has parsed of them; all others are new each time.
     */
    ConfigurableEnvironment environment(Input input) {
        ConfigurableEnvironment environment = environments.get();
        MutablePropertySources sources = environment.getPropertySources();
        for (PropertySource<?> source : List.copyOf(sources.stream().toList())) {
            if (!permanent.contains(source.getName())) {
                sources.remove(source.getName());
            }
        }
        Properties properties = new Properties();
        properties.putAll(input.properties());
        sources.replace(StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME,
                new PropertiesPropertySource(
                        StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME, properties));
        sources.replace(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME, input.env()));
        if (!input.args().isEmpty()) {
            sources.addFirst(new SimpleCommandLinePropertySource(
                    input.args().toArray(String[]::new)));
        }
        new SystemEnvironmentPropertySourceEnvironmentPostProcessor()
                .postProcessEnvironment(environment, application);
        sources.replace(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                new ProcessEnvironmentSource((SystemEnvironmentPropertySource) sources
                        .get(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME)));
        new SpringApplicationJsonEnvironmentPostProcessor()
                .postProcessEnvironment(environment, application);
        if (input.remote() != null) {
            insertRemote(sources, remote(input.remote()));
        }
        ConfigurationPropertySources.attach(environment);
        return environment;
    }

    /** Where Spring Cloud's PropertySourceBootstrapConfiguration puts them: first, unless they say no. */
    private static void insertRemote(MutablePropertySources sources, List<PropertySource<?>> remote) {
        PropertySourceBootstrapProperties wishes = wishes(remote);
        if (wishes.isAllowOverride() && wishes.isOverrideNone()) {
            remote.forEach(sources::addLast);
            return;
        }
        boolean first = !wishes.isAllowOverride() || wishes.isOverrideSystemProperties();
        for (int i = remote.size() - 1; i >= 0; i--) {
            if (first) {
                sources.addFirst(remote.get(i));
            } else {
                sources.addAfter(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        remote.get(i));
            }
        }
    }

    /** What a remote configuration says of its own place. */
    static PropertySourceBootstrapProperties wishes(List<PropertySource<?>> remote) {
        StandardEnvironment alone = new StandardEnvironment() {
            @Override
            protected void customizePropertySources(MutablePropertySources none) {
                // nothing but the remote configuration
            }
        };
        remote.forEach(alone.getPropertySources()::addLast);
        PropertySourceBootstrapProperties wishes = new PropertySourceBootstrapProperties();
        Binder.get(alone).bind("spring.cloud.config", Bindable.ofInstance(wishes));
        return wishes;
    }

    private ConfigurableEnvironment newEnvironment() {
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addLast(new RandomValuePropertySource());
        defaults.forEach(environment.getPropertySources()::addLast);
        ConfigurationPropertySources.attach(environment);
        return environment;
    }

    static Registries bind(ConfigurableEnvironment environment, String service,
            org.springframework.validation.Validator validator) {
        return new Registries(properties(environment, service, validator, bound -> { }),
                environment, service);
    }

    /** {@code before} is told of what is bound, before it is validated. */
    private static RegistryProperties properties(ConfigurableEnvironment environment,
            String service, org.springframework.validation.Validator validator,
            Consumer<RegistryProperties> before) {
        BindHandler telling = new BindHandler() {
            @Override
            public Object onSuccess(ConfigurationPropertyName name, Bindable<?> target,
                    BindContext context, Object result) {
                if (result instanceof RegistryProperties properties) {
                    before.accept(properties);
                }
                return result;
            }
        };
        return Binder.get(environment)
                .bind(service + ".registries", Bindable.of(RegistryProperties.class),
                        new ValidationBindHandler(telling, validator))
                .orElseThrow(() -> new IllegalStateException("no registries at all"));
    }

    /** The answer for one input, as what becomes one line of JSON. */
    Map<String, Object> answer(Input input) {
        return ask(input).answer();
    }

    /** What comes of one input: what the API does, and what is in Spring's maps then. */
    final class Reply {

        private final Input input;
        private Map<String, Object> answer;
        private Bound bound;

        private Reply(Input input) {
            this.input = input;
            try {
                ConfigurableEnvironment environment = environment(input);
                RegistryProperties properties = properties(environment, input.service(),
                        validator, all -> bound = Bound.of(all, environment, input.service(),
                                Map.of()));
                answer = Answers.started(
                        new Registries(properties, environment, input.service()), input);
            } catch (Exception | StackOverflowError e) {
                answer = Answers.failed(e);
            }
        }

        Map<String, Object> answer() {
            return answer;
        }

        /** Where a value does not convert, binding is done again, past that. */
        synchronized Bound bound() {
            if (bound == null) {
                bound = Bound.of(environment(input), input.service());
            }
            return bound;
        }
    }

    /** Asks Spring. */
    Reply ask(Input input) {
        return new Reply(input);
    }

    static Map<String, Object> object() {
        return new LinkedHashMap<>();
    }
}
