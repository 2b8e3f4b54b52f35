/** Pod templates as people write them, by what is special about them: for defaulting, and for the identity of content. */
export const templates: Record<string, { metadata?: object; spec: object }> = {
  'the least': { spec: { containers: [{ name: 'web', image: 'registry.example/web:1.0.0' }] } },
  'every port, probe and hook': {
    spec: {
      containers: [
        {
          name: 'web',
          image: 'registry.example/web:1.0.0',
          ports: [{ containerPort: 8080 }, { name: 'dns', containerPort: 53, protocol: 'UDP' }],
          readinessProbe: { httpGet: { port: 8080 } },
          livenessProbe: { tcpSocket: { port: 8080 }, initialDelaySeconds: 3 },
          startupProbe: { grpc: { port: 9090 }, failureThreshold: 30 },
          lifecycle: {
            preStop: { httpGet: { port: 'dns', path: '/bye' } },
            postStart: { exec: { command: ['true'] } },
          },
        },
        {
          name: 'side',
          image: 'registry.example/side@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          readinessProbe: { exec: { command: ['cat', '/ready'] }, periodSeconds: 1 },
          lifecycle: { preStop: { sleep: { seconds: 5 } } },
        },
      ],
    },
  },
  'environment from everywhere': {
    spec: {
      containers: [
        {
          name: 'web',
          image: 'web',
          env: [
            { name: 'EMPTY' },
            { name: 'BLANK', value: '' },
            { name: 'SET', value: 'x' },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
            { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'one' } } },
            { name: 'CFG', valueFrom: { configMapKeyRef: { name: 'cfg', key: 'one', optional: true } } },
          ],
          envFrom: [{ configMapRef: { name: 'cfg' } }, { prefix: 'S_', secretRef: { name: 'keys' } }],
        },
      ],
    },
  },
  'quantities in every notation': {
    spec: {
      containers: [
        {
          name: 'web',
          image: 'web:latest',
          resources: {
            limits: { cpu: 1, memory: '1024Mi', 'ephemeral-storage': '1e3' },
            requests: { cpu: '0.5', memory: '0.5Gi' },
          },
        },
        { name: 'two', image: 'host.example:5000/two', resources: { requests: { cpu: '1500m', memory: 134217728 } } },
        { name: 'three', image: 'three:1', resources: { limits: { cpu: '2000m', memory: '1.5Gi' } } },
      ],
    },
  },
  'volumes of every kind': {
    spec: {
      containers: [
        {
          name: 'web',
          image: 'web:1',
          volumeMounts: [
            { name: 'cfg', mountPath: '/cfg' },
            { name: 'tok', mountPath: '/t' },
          ],
        },
      ],
      volumes: [
        { name: 'cfg', configMap: { name: 'cfg' } },
        { name: 'sec', secret: { secretName: 'sec', items: [{ key: 'a', path: 'a' }] } },
        { name: 'tmp', emptyDir: {} },
        { name: 'mem', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
        { name: 'none' },
        { name: 'host', hostPath: { path: '/tmp' } },
        { name: 'pvc', persistentVolumeClaim: { claimName: 'data' } },
        { name: 'down', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
        {
          name: 'tok',
          projected: {
            sources: [
              { serviceAccountToken: { path: 'token' } },
              { configMap: { name: 'ca' } },
              { downwardAPI: { items: [{ path: 'ns', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
            ],
          },
        },
        { name: 'csi', csi: { driver: 'secrets.example.com', readOnly: true } },
        {
          name: 'eph',
          ephemeral: {
            volumeClaimTemplate: {
              spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
            },
          },
        },
      ],
    },
  },
  'init containers and side cars': {
    spec: {
      initContainers: [
        { name: 'migrate', image: 'migrate:1', command: ['migrate'], args: [] },
        { name: 'proxy', image: 'proxy:1', restartPolicy: 'Always', startupProbe: { httpGet: { path: '', port: 1 } } },
      ],
      containers: [{ name: 'web', image: 'web:1' }],
    },
  },
  'security and scheduling': {
    spec: {
      serviceAccountName: 'web',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [
        { key: 'gpu', operator: 'Exists' },
        { key: 'a', value: 'b', effect: 'NoExecute' },
      ],
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'web' } } } },
          ],
        },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { a: 'b' } },
        },
      ],
      containers: [
        {
          name: 'web',
          image: 'web:1',
          securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        },
        { name: 'bare', image: 'bare:1', securityContext: {} },
      ],
      priorityClassName: 'high',
      imagePullSecrets: [{ name: 'pull' }],
      hostAliases: [{ ip: '127.0.0.1', hostnames: ['a'] }],
      dnsConfig: { options: [{ name: 'ndots', value: '2' }] },
    },
  },
  'the old name of the service account': {
    spec: { serviceAccount: 'old', containers: [{ name: 'web', image: 'web:1' }] },
  },
  'everything said that is default anyway': {
    metadata: { annotations: {}, labels: { app: 'x', extra: '' } },
    spec: {
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      terminationGracePeriodSeconds: 30,
      securityContext: {},
      volumes: [],
      nodeSelector: {},
      hostNetwork: false,
      enableServiceLinks: true,
      containers: [
        {
          name: 'web',
          image: 'web:1',
          imagePullPolicy: 'IfNotPresent',
          resources: {},
          env: [],
          command: [],
          stdin: false,
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
    },
  },
  'nulls and zeros': {
    metadata: { creationTimestamp: null, annotations: null },
    spec: {
      terminationGracePeriodSeconds: 0,
      affinity: null,
      containers: [
        {
          name: 'web',
          image: 'web:1',
          args: null,
          resources: null,
          livenessProbe: {
            httpGet: { port: 80, path: '/' },
            initialDelaySeconds: 0,
            timeoutSeconds: 0,
            periodSeconds: 0,
          },
        },
      ],
    },
  },
  restarted: {
    metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-11-22T18:00:00Z', note: '' } },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  },
  'host network': {
    spec: { hostNetwork: true, containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 80 }] }] },
  },
  'quantities that are rounded, and zeros of them': {
    spec: {
      overhead: { cpu: '0.25', memory: '120M' },
      containers: [
        {
          name: 'web',
          image: 'web:1',
          env: [
            {
              name: 'D',
              valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m', containerName: '' } },
            },
            { name: 'Z', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: 0 } } },
          ],
          resources: { limits: { cpu: '1.0005', memory: '1.5G' }, requests: { cpu: '1e-1', memory: '0.1Gi' } },
        },
        { name: 'two', image: 'two:1', resources: { limits: {}, requests: { cpu: 0 } } },
      ],
      volumes: [{ name: 'mem', emptyDir: { medium: '', sizeLimit: '0.5Gi' } }],
    },
  },
  'empty texts, flags and maps': {
    spec: {
      hostname: '',
      nodeName: '',
      priorityClassName: '',
      hostPID: false,
      nodeSelector: {},
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [] } },
      tolerations: [{ operator: 'Exists', key: '', value: '', effect: '' }],
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: {} } },
      ],
      dnsConfig: { options: [{ name: 'rotate', value: '' }, { name: 'ndots' }] },
      containers: [
        {
          name: 'web',
          image: 'web:1',
          workingDir: '',
          tty: false,
          lifecycle: {},
          securityContext: { privileged: false, capabilities: {}, seLinuxOptions: { level: '' } },
          ports: [{ name: '', containerPort: 80, hostPort: 0, hostIP: '' }],
          envFrom: [{ prefix: '', configMapRef: { name: 'cfg', optional: false } }],
          volumeMounts: [{ name: 'cfg', mountPath: '/cfg', readOnly: false, subPath: '' }],
          livenessProbe: { httpGet: { port: 80, host: '', httpHeaders: [{ name: 'X', value: '' }] } },
          readinessProbe: { grpc: { port: 80, service: '' } },
        },
      ],
      volumes: [
        { name: 'cfg', configMap: { name: 'cfg', items: [], optional: false } },
        { name: 'host', hostPath: { path: '/tmp', type: '' } },
        { name: 'csi', csi: { driver: 'a.example.com', readOnly: false, fsType: '', volumeAttributes: {} } },
        { name: 'pvc', persistentVolumeClaim: { claimName: 'data', readOnly: false } },
        {
          name: 'eph',
          ephemeral: {
            volumeClaimTemplate: {
              metadata: { labels: {} },
              spec: {
                accessModes: ['ReadWriteOnce'],
                storageClassName: '',
                resources: { requests: { storage: '0.5Gi' } },
              },
            },
          },
        },
      ],
    },
  },
  'volumes that only old clusters have': {
    spec: {
      containers: [{ name: 'web', image: 'web:1' }],
      volumes: [
        { name: 'nfs', nfs: { server: 'nfs.example.com', path: '/', readOnly: false } },
        { name: 'iscsi', iscsi: { targetPortal: '10.0.0.1:3260', iqn: 'iqn.2001-04.com.example:storage', lun: 0 } },
        { name: 'rbd', rbd: { monitors: ['10.0.0.1'], image: 'x' } },
        { name: 'azure', azureDisk: { diskName: 'd', diskURI: 'https://x.example.com/d.vhd' } },
        { name: 'io', scaleIO: { gateway: 'https://x', system: 's', secretRef: { name: 's' }, volumeName: 'v' } },
        { name: 'flex', flexVolume: { driver: 'example.com/flex', options: {} } },
      ],
    },
  },
  'what newer clusters have': {
    spec: {
      os: { name: 'linux' },
      resources: { limits: { cpu: '2000m' } },
      readinessGates: [{ conditionType: 'example.com/ready' }],
      schedulingGates: [{ name: 'example.com/gate' }],
      shareProcessNamespace: false,
      setHostnameAsFQDN: false,
      hostUsers: true,
      preemptionPolicy: 'Never',
      resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'gpu' }],
      securityContext: {
        supplementalGroups: [1],
        sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '' }],
        appArmorProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'web',
          image: 'web:1',
          resources: { claims: [{ name: 'gpu', request: '' }], limits: { cpu: 1 } },
          resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }],
          lifecycle: { preStop: { sleep: { seconds: 0 } } },
          securityContext: { procMount: 'Default', appArmorProfile: { type: 'Unconfined' } },
        },
      ],
      volumes: [
        {
          name: 'all',
          projected: {
            sources: [{ serviceAccountToken: { path: 'token', audience: '', expirationSeconds: 3600 } }],
          },
        },
      ],
    },
  },
  'images as volumes': {
    spec: {
      containers: [{ name: 'web', image: 'web:1' }],
      volumes: [
        { name: 'a', image: { reference: 'registry.example/data:1' } },
        { name: 'b', image: { reference: 'registry.example/data', pullPolicy: 'Always' } },
      ],
    },
  },
}

/** A Deployment with this template. */
export function deploymentWith(name: string, template: { metadata?: object; spec: object }) {
  const metadata = { ...template.metadata, labels: { ...labelsOf(template.metadata), app: 'x' } }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'x' } }, template: { ...template, metadata } },
  }
}

function labelsOf(metadata: { labels?: object } | undefined): object {
  return metadata?.labels ?? {}
}
